"""The thread that looks after the jobs of one machine: what it decides, starts, reads and
writes."""
