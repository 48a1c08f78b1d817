"""What everybody speaks of: the record, and the identity of the question that it answers."""
