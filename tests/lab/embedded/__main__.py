#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""The main job in the embedded lab; see ./run_lab.sh --help."""

import argparse
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

import docker
from docker import errors

from tests.lab.embedded import lab as embedded


BULK = 'main-job'
ROOT = embedded.REPOSITORY / 'lab-root'
POLICIES = embedded.REPOSITORY / 'tests' / 'lab' / 'policy.d'
DEFAULT_SOCKET = 'unix:///var/run/docker.sock'
COMMAND = ('sleep', '100000')
#: Seconds, and seconds a container, that the job may take.
PATIENCE = 120, 10


class Progress:
    """Prints a line a step, with the seconds since it was made."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(
            'lab: %5.1f s  %s' % (time.monotonic() - self.began, text),
            flush=True,
        )


def find_engine():
    """Return the address of the Docker Engine that answers, or None."""
    address = os.environ.get('DOCKER_HOST') or DEFAULT_SOCKET
    try:
        client = docker.APIClient(address, version='auto', timeout=5)
        client.ping()
    except (errors.DockerException, OSError):
        if os.environ.get('DOCKER_HOST'):
            raise embedded.LabError(
                'no Docker Engine answers at DOCKER_HOST (%s)' % address
            ) from None
        return None
    return address


def provide_image(lab, say):
    """Have the image at a real engine: its own, busybox here, or pulled.

    :returns: whether it was not there before.
    """
    engine = lab.engine()
    try:
        engine.inspect_image(embedded.IMAGE)
        return False
    except errors.ImageNotFound:
        say('the engine does not have the image %s' % embedded.IMAGE)
    busybox = shutil.which('busybox')
    name, tag = embedded.IMAGE.split(':')
    if busybox and is_static(busybox):
        with tempfile.NamedTemporaryFile(suffix='.tar') as file:
            with tarfile.open(fileobj=file, mode='w') as archive:
                for path in ('bin/busybox', 'bin/sh', 'bin/sleep'):
                    archive.add(os.path.realpath(busybox), path)
            file.flush()
            engine.import_image(file.name, repository=name, tag=tag)
        say('imported the image from %s' % busybox)
    else:
        engine.pull(name, tag=tag)
        say('pulled the image')
    return True


def is_static(path):
    """Whether a program wants no dynamic linker."""
    with open(path, 'rb') as file:
        return b'ld-linux' not in file.read(4096)


def run_client(lab, *arguments, check=True):
    """Run the ``openstack`` of this virtual environment as admin."""
    command = [
        str(pathlib.Path(sys.executable).with_name('openstack')),
        'appcontainer',
        'bulk',
        *arguments,
    ]
    # Its reader sees the command as he would have to type it.
    print('$ openstack ' + shlex.join(command[1:]), flush=True)
    result = subprocess.run(command, env={**os.environ, **lab.credentials()})
    if check and result.returncode:
        raise embedded.LabError('openstack exited with %d' % result.returncode)


def create_arguments(lab):
    arguments = ['--net', 'network=lab', embedded.IMAGE, *COMMAND]
    if not lab.emulated:
        # What the lab has imported is in no registry.
        arguments[:0] = ['--image-pull-policy', 'never']
    return arguments


def verify(lab, count):
    """Look at each container at the engine itself.

    :returns: how many run, have a process and an address of their own.
    """
    status, body = lab.request('GET', '/bulks/%s/members?limit=1000' % BULK)
    members = body['members']
    while body.get('next'):
        status, body = lab.request('GET', body['next'].partition('/v1')[2])
        members += body['members']
    if status != 200 or len(members) != count:
        raise embedded.LabError('the bulk has %d members' % len(members))
    engine, addresses, verified = lab.engine(), set(), 0
    for member in members:
        try:
            state = engine.inspect_container(
                'zun-' + member['container_uuid']
            )['State']
        except errors.NotFound:
            continue
        address = tuple(member['addresses'] or ())
        if (
            state['Running']
            and state['Pid'] > 0
            and member['state'] == 'running'
            and address
            and address not in addresses
        ):
            verified += 1
            addresses.add(address)
    return verified


def run_job(lab, count, say):
    """Return the line with the result, and whether the job succeeded."""
    base, each = PATIENCE
    began = time.monotonic()
    run_client(
        lab,
        'create',
        '--bulk-name',
        BULK,
        '--count',
        str(count),
        '--wait',
        '--wait-timeout',
        str(base + each * count),
        *create_arguments(lab),
        check=False,
    )
    seconds = time.monotonic() - began
    verified = verify(lab, count)
    engine = lab.engine_name()
    if lab.emulated:
        engine = 'emulated'
    return (
        'lab: %d of %d containers running and verified on 1 host in '
        '%.1f s (engine: %s)' % (verified, count, seconds, engine),
        verified == count,
    )


def delete(lab, count, say):
    base, each = PATIENCE
    run_client(
        lab,
        'delete',
        '--wait',
        '--wait-timeout',
        str(base + each * count),
        BULK,
    )
    left = lab.leftovers()
    if left:
        raise embedded.LabError(
            'left behind: %s'
            % ', '.join(
                '%d %s' % (number, kind) for kind, number in left.items()
            )
        )
    say('no leftovers')


def explain(lab, root):
    """Print how to use a lab that goes on."""
    print('\nThe lab keeps running. To use it:\n')
    for name, value in lab.credentials().items():
        print('    export %s=%s' % (name, value))
    print(
        '    export PATH=%s:$PATH'
        % shlex.quote(str(pathlib.Path(sys.executable).parent))
    )
    print('    openstack appcontainer bulk show %s' % BULK)
    print(
        '    openstack appcontainer bulk create --count 10 --wait %s'
        % shlex.join(create_arguments(lab))
    )
    print('\nusers     admin, demo, other; the password is the name')
    for name, url in (
        ('Zun', lab.zun_url),
        ('Keystone', lab.auth_url),
        ('Neutron', lab.neutron_url),
        ('Placement', lab.placement_url),
        ('engine', lab.engine_url.replace('http:', 'tcp:')),
        ('Horizon', lab.horizon_url),
    ):
        if url:
            print('%-9s %s' % (name, url))
    print('logs      %s' % (root / 'log'))
    print('stop      ./run_lab.sh --down\n', flush=True)


def down(root, say):
    """End what an earlier run has left behind."""
    file = root / 'state.json'
    if not file.exists():
        say('no lab is running')
        return
    lab = embedded.Lab(root)
    pids = lab.load()
    lab.remove_containers()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, since in pids.values():
            if embedded.start_time(pid) == since:
                os.kill(pid, number)
        deadline = time.monotonic() + embedded.STOP_TIMEOUT
        while time.monotonic() < deadline and any(
            embedded.start_time(pid) == since for pid, since in pids.values()
        ):
            time.sleep(0.1)
    shutil.rmtree(root)
    say('down')


def up_and_run(args, say):
    if (ROOT / 'state.json').exists():
        raise embedded.LabError(
            'a lab is already running or was not stopped cleanly; run '
            './run_lab.sh --down'
        )
    shutil.rmtree(ROOT, ignore_errors=True)
    engine_url = find_engine()
    lab = embedded.Lab(
        ROOT,
        engine_url,
        # As Horizon has them.
        conf={'oslo_policy': {'policy_dirs': POLICIES}},
        capacity=args.count + 100,
        detached=args.keep,
    )
    fresh_image = kept = False
    try:
        lab.start(say)
        lab.save()
        if not lab.emulated:
            fresh_image = provide_image(lab, say)
        line, well = run_job(lab, args.count, say)
        if not well:
            print(line, flush=True)
            raise embedded.LabError(
                'not all containers run; see the logs in %s' % (ROOT / 'log')
            )
        if args.horizon:
            lab.start_horizon(args.horizon)
            lab.save()
            say('Horizon')
        if args.keep:
            explain(lab, ROOT)
            kept = True
        else:
            delete(lab, args.count, say)
    finally:
        if not kept:
            clean_up(lab, fresh_image)
    if not kept:
        shutil.rmtree(ROOT)
    print(line, flush=True)


def clean_up(lab, fresh_image):
    """Take everything away but the logs."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if 'zun' in lab.processes:
        lab.kill('zun', signal.SIGTERM)
    if not lab.emulated:
        lab.remove_containers()
        if fresh_image:
            lab.engine().remove_image(embedded.IMAGE)
    lab.stop()
    (ROOT / 'state.json').unlink(missing_ok=True)


def parse_arguments():
    parser = argparse.ArgumentParser(prog='run_lab.sh')
    parser.add_argument('--count', type=int, default=60)
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('--down', action='store_true')
    parser.add_argument('--horizon', metavar='VENV')
    args = parser.parse_args()
    if args.count < 1:
        parser.error('--count must be a number of at least 1')
    return args


def interrupt(*_args):
    raise KeyboardInterrupt


def main():
    args = parse_arguments()
    say = Progress()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        if args.down:
            down(ROOT, say)
        else:
            up_and_run(args, say)
    except KeyboardInterrupt:
        print(
            'lab: interrupted; any logs are in %s' % (ROOT / 'log'),
            file=sys.stderr,
        )
        return 130
    except (embedded.LabError, errors.DockerException, OSError) as error:
        print('lab: %s' % error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
