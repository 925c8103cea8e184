#!/usr/bin/env bash
# One plan over a job array: every task measures one shard on a node that it has to itself.
#   SUITE=study sbatch --array=1-4 cloud/slurm.sh
# One shard again, of the same four: SUITE=study SHARDS=4 sbatch --array=3 cloud/slurm.sh
#SBATCH --job-name=greenbench
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --gres=gpu:1
#SBATCH --time=12:00:00
#SBATCH --no-requeue
#SBATCH --output=greenbench-%A-%a.log
set -euo pipefail

: "${SLURM_ARRAY_TASK_ID:?submit this as an array: sbatch --array=1-4 cloud/slurm.sh}"
suite=${SUITE:-quick}
seed=${SEED:-0}
device=${DEVICE:-cuda}
# Compute nodes seldom have a Docker Engine.
launcher=${LAUNCHER:-venv}
shards=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
results=${RESULTS:-$PWD/results}
# A state folder belongs to one host, also where all hosts share a file system.
export GREENBENCH_STATE=${GREENBENCH_STATE:-$HOME/.greenbench}/$(hostname)
read -r -a settings <<<"${SETTINGS:-}"

greenbench up --suite "$suite" --launcher "$launcher" --device "$device" ${settings[@]+"${settings[@]}"}
# Status 1 is a shard whose report names invalid trials: it is kept and joined like any other.
greenbench run "$suite" --seed "$seed" --launcher "$launcher" --device "$device" \
  --out "$results/shard-$SLURM_ARRAY_TASK_ID" --shard "$SLURM_ARRAY_TASK_ID/$shards" \
  ${settings[@]+"${settings[@]}"} || [ $? -eq 1 ]
