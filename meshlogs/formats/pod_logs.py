"""Plain logs of pods: `kubectl logs`, with `--timestamps` or not, and the `logs.txt` of cluster snapshots.

