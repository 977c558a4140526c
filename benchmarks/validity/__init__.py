"""An audit of the audit: model organisms with known differences, and how often the gate decides wrongly about them."""
