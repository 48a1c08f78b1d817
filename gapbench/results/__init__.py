"""Results: the record and its schema, the journal, per-item outcomes, comparisons."""
