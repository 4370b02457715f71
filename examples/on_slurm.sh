#!/bin/sh
# Extract a folder of photos with 40 jobs of Slurm; see featurize/README.md.
#
#     sbatch --array=1-40 --cpus-per-task=4 examples/on_slurm.sh
#     featurize extract /data/photos --features inception_v3 --store /data/store -o photos.parquet
#
# The second command assembles the table. It names the parts that are missing, in the words of --array.
exec featurize extract /data/photos --features inception_v3 --store /data/store \
    --jobs "${SLURM_CPUS_PER_TASK:-1}" --part "$SLURM_ARRAY_TASK_ID/${SLURM_ARRAY_TASK_MAX:-40}"
