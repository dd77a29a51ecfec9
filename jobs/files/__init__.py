"""Files in the folders of a job, read from its machine."""
