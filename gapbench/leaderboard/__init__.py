"""Tables from records: the model, the terminal, Markdown."""
