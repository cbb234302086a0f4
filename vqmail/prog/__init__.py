"""The programs.  vq-NAME is prog/NAME.py: one module, one main(argv, env), one manual page."""
