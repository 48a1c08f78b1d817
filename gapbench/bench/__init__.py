"""Running a benchmark: studies, plan, protocols, cells, execution."""
