# a comment
socat -d -T 30 TCP-LISTEN:8080,bind=127.0.0.1,fork,reuseaddr,range=10.0.0.0/8 TCP4:127.0.0.1:3000,nodelay &
socat UDP4-RECVFROM:53,fork UDP:"127.0.0.1":5353
socat UNIX-LISTEN:/run/a.sock,fork,mode=660 OPENSSL:a.example:443,verify=0
