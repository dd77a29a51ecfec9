"""`make bench`: what the site costs, beside others that do less or do it in another way.

`__main__` runs the parts, `report` turns figures into a table with ratios and goals. Programs that
are measured, or that must not be (the machines), are processes of their own: `machines`, `floor`,
`execs`, `watchers`. They touch nothing but loopback and a temporary directory.
"""
