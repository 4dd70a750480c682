# what starts socat, more than one of them on a line, and addresses that are no socket
exec socat TCP-LISTEN:99999,fork TCP:localhost:80
while true; do socat TCP-LISTEN:7100 TCP:localhost:80; done
socat TCP-LISTEN:7101,fork TCP:localhost:80 & socat TCP-LISTEN:7102,fork TCP:localhost:81
ExecStart=/usr/bin/socat TCP-LISTEN:7103,fork TCP:localhost:80
docker run --rm alpine/socat tcp-listen:7104,fork,reuseaddr tcp-connect:db:5432
socat TCP-LISTEN:7105,fork,pf=ip4,bind=127.0.0.1:7105 TCP:localhost:80
socat TCP-LISTEN:7106,fork,bind=127.0.0.1 TCP:h:1,bind=:1234
socat -6 TCP-LISTEN:7107,fork,ipv6only=1 TCP:localhost:80
socat TCP4:127.0.0.1:3000 TCP-LISTEN:7108,fork
socat TCP-LISTEN:7109,fork EXEC:/bin/cat,pty
socat TCP-LISTEN:7110,fork PROXY:proxy.example:h:80,proxyport=3128
socat TCP-LISTEN:7111,fork SOCKS4A:127.0.0.1:h:80,socksport=9050
socat - TCP:h:1
socat /dev/ttyS0,b9600,raw TCP-LISTEN:7112
socat ABSTRACT-LISTEN:foo,fork ABSTRACT-CONNECT:bar
socat TCP-LISTEN:7113,fork,congestion=reno TCP:localhost:80,tcp-congestion=cubic
