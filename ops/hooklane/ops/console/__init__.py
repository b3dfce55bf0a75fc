"""The console: pages by which a browser sees what waits, what was tried and why, and acts."""
