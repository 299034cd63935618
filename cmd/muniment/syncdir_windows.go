package main

// syncDir does nothing: the file system journals the names in a directory.
func syncDir(string) error { return nil }
