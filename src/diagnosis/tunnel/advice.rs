//! The general explanation of the verdicts about tunnels: how each arises, and what to do.

type Advice = (&'static str, &'static str);

pub(in crate::diagnosis) const NOT_LOOPGATE: Advice = (
    "The host or the port in `connect` is that of another service, or a name means another machine than it did.",
    "Compare `connect` with `listen` under [tunnel] there; the port is 4433 unless written.",
);

pub(in crate::diagnosis) const INTERCEPTED: Advice = (
    "A proxy or firewall of the network ends TLS and begins it anew, with certificates of its own authority. Both ends of \
     a tunnel accept one key each, which it cannot have.",
    "Have the address of the other end exempted from the inspection, or leave by another network.",
);

pub(in crate::diagnosis) const WRONG_KEY: Advice = (
    "The other end was set up anew, its name means another machine now, or somebody is between. Nothing is said to an end \
     with another key.",
    "Compare with `loopgate tunnel key --public` there. Only if that prints the same, write it under `public_key`.",
);

pub(in crate::diagnosis) const KEY_UNKNOWN_THERE: Advice = (
    "The other end lets in only the keys of its own file, and this machine's is in no [tunnels.NAME] without `connect` \
     there.",
    "Add the lines that are printed to its file; a reload is enough.",
);

pub(in crate::diagnosis) const VERSION: Advice = (
    "Both ends must speak one version of the tunnel protocol, and one of the two programs is much older.",
    "Bring the older program up to date.",
);

pub(in crate::diagnosis) const IN_USE: Advice = (
    "Two machines have the same private key, often since one was copied from the other. The one that is connected stays, \
     so that they do not drive each other out for ever.",
    "Make a key on each machine (`loopgate tunnel key --file FILE`), and list both there.",
);

pub(in crate::diagnosis) const NOT_PERMITTED: Advice = (
    "The other end opens only what `may_listen` in its own file has, which is nothing by default, and no more than \
     `max_listeners`.",
    "Write the line that is printed into its file, or ask for another address.",
);

pub(in crate::diagnosis) const PORT_HELD: Advice = (
    "A route of the other end's own file, another tunnel or another program has the address there. Who, only that machine \
     is told.",
    "Ask there: loopgate explain PORT --listen. It is tried again every 10 s.",
);

pub(in crate::diagnosis) const FEW_CARRIERS: Advice = (
    "Each session travels on a connection of its own, and a proxy or firewall on the way may cap how many one machine has.",
    "Raise that number for the other end's address. Clients wait for a connection meanwhile.",
);

pub(in crate::diagnosis) const PROXY_REFUSED: Advice = (
    "The proxy of `proxy_url` was reached and does not connect to the other end. Many carry only logged-in users (407), or \
     only port 443 (403).",
    "Write the user into `proxy_url`, have the address permitted, or let the other end listen on port 443.",
);

pub(in crate::diagnosis) const FLAPPING: Advice = (
    "The control of the tunnel was made and lost more than five times in ten minutes: a way that drops silent connections, \
     a machine that restarts, a network that changes.",
    "Look at the causes that are counted, and at the other end's log. `ping` may be shorter than a firewall's patience.",
);

pub(in crate::diagnosis) const SLOW: Advice = (
    "Segments are lost on the way, or wait in a queue on it, and the usual congestion control takes each loss for a full \
     link.",
    "Set `congestion = \"bbr\"` for the tunnel, at both ends: each decides for what it sends.",
);

pub(in crate::diagnosis) const EXPOSED: Advice = (
    "`may_listen` has an address beyond loopback, and the routes that the other end asks for have no `allow`.",
    "Write `allow` under [tunnels.NAME.defaults], or permit addresses of loopback alone.",
);
