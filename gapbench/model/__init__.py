"""What is asked for: options, each declared once, requests and studies."""
