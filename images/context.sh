#!/bin/sh
# Fills a folder with everything our images copy in. Packages are installed on this machine, so that a build needs no
# network, and stripped of what no image runs. Usage: images/context.sh FOLDER   (PYTHON: of the base's version, 3.11)
set -eu
cd "$(dirname "$0")/.."
to=${1:?usage: $0 FOLDER}
python=${PYTHON:-python3}
"$python" -m pip --disable-pip-version-check install --quiet --no-compile --require-hashes \
  --target "$to/site" -r requirements.lock 2>"$to/pip.log" || { cat "$to/pip.log" >&2; exit 1; }
rm "$to/pip.log"
rm -rf "$to/site/bin"
# Of the AWS models only those somebody of ours speaks: all others are three quarters of botocore.
spoken=$("$python" -c 'from services.sdk.discovery import managed_services as all
print(*(name for service in all() for name in service.speaks))')
for model in "$to"/site/botocore/data/*/; do
  case " $spoken " in *" $(basename "$model") "*) ;; *) rm -r "$model" ;; esac
done
mkdir -p "$to/source" "$to/bin" "$to/dashboard/dashboard"
for program in cli:aerekos agent:aerekos-agent; do
  printf '#!/bin/sh\nexec python3 -m %s.main "$@"\n' "${program%%:*}" > "$to/bin/${program##*:}"
  chmod 755 "$to/bin/${program##*:}"
done
for room in crds controller services api agent cli; do cp -r "$room" "$to/source/"; done
"$python" -c 'from controller.kit.version import commit, version
print(f"version = {version()!r}\ncommit = {commit()!r}")' > "$to/source/controller/kit/_build.py"
[ ! -d dashboard/dist ] || cp -r dashboard/dist "$to/dashboard/dashboard/dist"
find "$to" -name __pycache__ -prune -exec rm -rf {} +
find "$to/source" -name tests -prune -exec rm -rf {} +
find "$to" -name .built -delete
# Compiled here once: a container starts a second sooner. Judged by content, not by time, as the rest of the layer.
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$to" -p /opt/aerekos \
  "$to/site" "$to/source" >/dev/null || true
images/registry/fetch.sh "$to/registry"
# Content decides, not the moment or the umask: the same sources give the same layers.
chmod -R u=rwX,go=rX "$to"
find "$to" -exec touch -h -d @0 {} +
