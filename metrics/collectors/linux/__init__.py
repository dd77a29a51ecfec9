"""The machine itself: the kernel's files, file systems, power supplies, containers."""
