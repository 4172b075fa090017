#!/usr/bin/env bash
# Writes the secrets of compose/production.yaml into a folder: a certificate authority, the brokers' certificate, and passwords.
# Files that are there stay as they are, so it can run again. Usage: make-secrets.sh FOLDER
set -euo pipefail
folder=${1:?Say where the secrets go, such as compose/secrets}
command -v openssl >/dev/null || { echo "openssl is missing; install it and run this again." >&2; exit 1; }
umask 077
mkdir -p "$folder"
cd "$folder"

# The folder keeps others out; the files must be readable for the containers' own users.
keep() {
    [ -s "$1" ] || cat >"$1"
    chmod 444 "$1"
}
word() { openssl rand -hex 24; }

if [ ! -s kafka_ca ]; then
    openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=Vyuha Kafka authority" -keyout ca.key -out ca.crt 2>/dev/null
    openssl req -newkey rsa:3072 -nodes -subj "/CN=kafka" -keyout broker.key -out broker.csr 2>/dev/null
    printf 'subjectAltName=DNS:kafka,DNS:kafka-2,DNS:kafka-3\n' >broker.ext
    openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile broker.ext -out broker.crt 2>/dev/null
    openssl pkcs8 -topk8 -nocrypt -in broker.key | cat - broker.crt ca.crt | keep kafka_keystore
    keep kafka_ca <ca.crt
    rm -f broker.key broker.csr broker.ext broker.crt ca.srl ca.crt
fi
[ -s kafka_password ] || printf '%s' "$(word)" | keep kafka_password
if [ ! -s kafka_jaas ]; then
    broker=$(word)
    keep kafka_jaas <<END
KafkaServer {
    org.apache.kafka.common.security.plain.PlainLoginModule required
    username="broker"
    password="$broker"
    user_broker="$broker"
    user_vyuha="$(cat kafka_password)";
};
END
fi
[ -s redis_password ] || printf '%s' "$(word)" | keep redis_password
printf 'requirepass %s\n' "$(cat redis_password)" | keep redis_conf
printf 'redis://:%s@redis:6379' "$(cat redis_password)" | keep redis_url
[ -s webhook_secret ] || printf '%s' "$(word)" | keep webhook_secret
[ -s grafana_password ] || printf '%s' "$(word)" | keep grafana_password
echo "The secrets are in $folder. ca.key signs new broker certificates: keep it elsewhere."
