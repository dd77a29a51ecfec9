"""Work that nobody waits for: threads, tasks, loops over many owners, and who may do what when."""
