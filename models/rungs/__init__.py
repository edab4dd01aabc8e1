"""The kinds of models, one by one."""
