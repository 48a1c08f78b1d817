"""The command line: one small module a command, imported only when the command is called."""
