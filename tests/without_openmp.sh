# A C compiler without OpenMP: CC='sh tests/without_openmp.sh'.
for argument in "$@"; do
    if [ "$argument" = -fopenmp ]; then
        echo "error: unsupported option '-fopenmp'" >&2
        exit 1
    fi
done
exec cc "$@"
