"""What the jobs of .github/workflows run, tried with real tools; what belongs to others is stood in for."""
