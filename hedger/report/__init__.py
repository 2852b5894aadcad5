"""What an engine's journal comes to: one page for people, one document and tables for machines."""
