"""What ``slm-audit demo`` audits beside the embedded model: training data, recipes and the adapters made from them."""
