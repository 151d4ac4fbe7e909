#!/usr/bin/env bash
# One process per GPU on several nodes; JAX reads from SLURM where they are.
#
#   sbatch --nodes=2 launch/slurm.sh \
#     run --method=logit_logit_fusion --task=gsm8k --models=ORG/A,ORG/B \
#     --mesh=model=2,data=4,tensor=2 --out=/shared/runs
#
# --out must be on a file system that all nodes see.
#SBATCH --job-name=moco
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --output=%x-%j.log
set -euo pipefail

[ "$#" -gt 0 ] || { echo "what is to be run? For example: run --config=settings.json" >&2; exit 2; }
cd "${SLURM_SUBMIT_DIR:?to be started by sbatch}"
# shellcheck disable=SC1091
. .venv/bin/activate

# --kill-on-bad-exit: the others would wait for ever for one that has failed
srun --kill-on-bad-exit=1 --label moco "$@" --distributed
