#!/usr/bin/env bash
# The service listens on ::1 only, we dial 127.0.0.1.
. "$(dirname "$0")/../lib.sh"

SEEN='127.0.0.1 62893 -> ECONNREFUSED'
setup(){ serve ::1 $P; }
symptom(){ show probe 127.0.0.1 $P; show probe ::1 $P; }
evidence(){ show ss -tlnpe "sport = :$P"; show getent ahosts localhost; }

fault "$@"
