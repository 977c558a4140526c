"""Pure renderings of a comparison: an HTML page, a table for the terminal. No model is needed, torch never imported."""
