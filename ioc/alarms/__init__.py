"""Rules on arrays, the alarm lifecycle, and root cause."""
