"""The sampled single-site chain of the untied ansatz, where moments do not close."""
