"""A run in other people's formats: model card, Every Eval Ever, in-toto, CSV, Parquet. No answer's text is in any."""
