"""Real applications of others, unchanged, over real sockets. They need the extra ``tornado-wstest[real]``."""
