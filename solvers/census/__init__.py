"""Fixed points of finite networks: searched from many starts, told apart, counted, and how many were missed."""
