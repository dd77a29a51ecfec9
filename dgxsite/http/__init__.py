"""HTTP around Django: the protocol, proxies, other sites' pages, static files, caches."""
