"""Explanations of access: may they, who may, and why a request was refused."""
