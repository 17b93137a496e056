"""`asyncsdk dev`: the dev server with its page, by itself or around a command."""
