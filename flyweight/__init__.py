"""The command line and the client: thin, they import the rooms only when a verb needs them."""
