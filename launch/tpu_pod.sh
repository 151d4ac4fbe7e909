#!/usr/bin/env bash
# The same run on every host of a Cloud TPU pod slice; the hosts find each other by themselves.
#
#   TPU=my-slice ZONE=us-central2-b OUT=/mnt/shared/runs launch/tpu_pod.sh \
#     run --method=logit_logit_fusion --task=gsm8k --models=ORG/A,ORG/B --mesh=model=2,tensor=4
#
# The slice must have moco_jax in ~/moco (see launch/README.md), and OUT must be one folder that all
# hosts see (a mounted bucket or Filestore): process 0 writes there, the others read.
set -euo pipefail

: "${TPU:?the name of the slice}" "${ZONE:?its zone}" "${OUT:?a folder that all hosts see}"
[ "$#" -gt 0 ] || { echo "what is to be run? For example: run --config=settings.json" >&2; exit 2; }

# Quoted here, since it goes through a shell on the other side
command=$(printf '%q ' moco "$@" "--out=$OUT" --distributed)

gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
  --command="set -e; cd ~/moco; . .venv/bin/activate; exec $command"
