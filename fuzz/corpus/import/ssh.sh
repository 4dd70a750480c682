ssh -f -N -L 8080:localhost:80 -L '[::1]:81:db:5432' -R 9000:localhost:3000 -D 1080 user@host.example
autossh -M 0 -NL/run/a.sock:/run/b.sock host
