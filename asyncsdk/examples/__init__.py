"""Services written with asyncsdk, one runnable file per framework: to read, to try and to start from."""
