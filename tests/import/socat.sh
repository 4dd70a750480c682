#!/bin/sh
# forwards of this machine
socat TCP-LISTEN:8080,fork,reuseaddr TCP:127.0.0.1:3000 &
sudo socat -d -d -T 30 TCP4-LISTEN:80,bind=127.0.0.1,fork,range=10.0.0.0/8,su=nobody TCP4:db.internal:5432,connect-timeout=5,bind=10.0.0.9
socat TCP6-LISTEN:8081,fork,ipv6only=1 TCP6:[::1]:3000
socat UDP4-LISTEN:5353,fork,reuseaddr UDP4:192.0.2.53:53
socat UNIX-LISTEN:/run/web.sock,fork,mode=660,group=www-data,unlink-early TCP:localhost:3000,retry=10,interval=2
nohup socat TCP-LISTEN:5432,fork,max-children=50 \
  UNIX-CONNECT:/run/postgresql/.s.PGSQL.5432 > /dev/null 2>&1 &
socat OPENSSL-LISTEN:8443,fork,cert=/etc/ssl/web.pem,verify=0 TCP:127.0.0.1:3000
socat TCP-LISTEN:9443,fork OPENSSL:www.example.org:443,cafile=/etc/ssl/ca.pem
socat TCP-LISTEN:7000 EXEC:/bin/cat
socat -u TCP-LISTEN:7001,crnl TCP:127.0.0.1:7002
socat UDP-LISTEN:7003 TCP:127.0.0.1:7004
socat TCP-LISTEN:ssh,fork,tcpwrap TCP:127.0.0.1:22
socat TCP-LISTEN:'7005
iptables -A INPUT -p tcp --dport 80 -j ACCEPT
