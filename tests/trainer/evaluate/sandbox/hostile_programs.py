"""Programs that try to get out, to stay, to take more than their share; each with the ending that it must have.

An attempt that succeeds prints ESCAPED. Where the two back ends end a program differently, the ending is a pair
(bubblewrap, landlock). `PRELUDE` stands before each; the names in capitals are facts of the test.
"""

PRELUDE = r"""
import ctypes, fcntl, mmap, os, resource, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def attempt(what, *arguments):
    try:
        result = what(*arguments)
    except (OSError, ValueError) as error:
        print("refused", type(error).__name__, error)
    else:
        print("ESCAPED", str(result)[:200])

def call(name, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(NUMBERS[name], *arguments)
    print("ESCAPED" if result >= 0 else "refused", name, result, ctypes.get_errno())

def content(path):
    return open(path, "rb").read(300)

def fill(path):
    with open(path, "wb") as file:
        while True:
            file.write(bytes(1 << 20))
            file.flush()

def connect(family, kind, address):
    with socket.socket(family, kind) as client:
        client.settimeout(1)
        client.connect(address)
        client.send(b"canary")
"""

LIMITS = {
    "endless loop": ("while True: pass", "timeout"),
    "endless loop that takes no signal": (
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
        "while True:\n try:\n  while True: pass\n except BaseException: pass",
        "timeout",
    ),
    "sleep": ("time.sleep(9999)", "timeout"),
    "sleep with closed streams": (
        "for fd in range(9):\n try: os.close(fd)\n except OSError: pass\ntime.sleep(9999)",
        "timeout",
    ),
    "read stdin": ("input()", "failed"),
    "endless output": ("while True: print('x' * 100000)", "killed"),
    "endless errors": ("while True: print('x' * 100000, file=sys.stderr)", "killed"),
    "endless protocol": (
        "while True:\n for fd in range(3, 9):\n  try: os.write(fd, b'x' * 100000)\n  except OSError: pass",
        "killed",
    ),
    "one huge string": ("'x' * (4 << 30)", "memory"),
    "memory in small pieces": ("pieces = []\nwhile True: pieces.append(bytearray(1 << 20))", "memory"),
    "memory of children together": (
        "for _ in range(6):\n if os.fork() == 0: break\npiece = bytearray(b'x' * (90 << 20))\ntime.sleep(9999)",
        ("memory", "failed"),
    ),
    "shared memory of children together": (
        "for _ in range(6):\n if os.fork() == 0: break\npiece = mmap.mmap(-1, 90 << 20)\n"
        "for at in range(0, 90 << 20, 4096): piece[at] = 1\ntime.sleep(9999)",
        ("memory", "failed"),
    ),
    "inflated bytes": ("import zlib\nzlib.decompress(zlib.compress(bytes(1 << 20)), bufsize=1 << 33)", "memory"),
    "huge power": ("9 ** 9 ** 9", "timeout"),
    "fork bomb": ("while True: os.fork()", "failed"),
    "fork bomb that goes on": (
        "while True:\n try: os.fork()\n except OSError: pass",
        "timeout",
    ),
    "thread bomb": (
        "import threading\nwhile True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "failed",
    ),
    "many descriptors": ("files = []\nwhile True: files.append(open('/dev/null'))", "failed"),
    "full /tmp": ("fill('/tmp/x')", "failed"),
    "full /dev/shm": ("fill('/dev/shm/x')", "failed"),
    "sparse file": ("open('/tmp/x', 'wb').truncate(1 << 40)", "failed"),
    "raise the limits": (
        "attempt(resource.setrlimit, resource.RLIMIT_AS, (1 << 40, 1 << 40))\n"
        "attempt(resource.setrlimit, resource.RLIMIT_CPU, (999, 999))",
        "completed",
    ),
    "deep recursion": ("sys.setrecursionlimit(10 ** 9)\ndef f(): return f()\nf()", "killed or memory or timeout"),
    "crash": ("ctypes.string_at(0)", "killed"),
    "end with success": ("os._exit(0)", "failed"),
    "become another program": ("os.execv('/usr/bin/true', ['true'])", "failed"),
}

STAYING = {
    "daemon": (
        "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  for fd in range(9):\n"
        "   try: os.close(fd)\n   except OSError: pass\n  time.sleep(9999)\n os._exit(0)",
        ("completed", "failed"),
    ),
    "program in the background": (
        "subprocess.Popen(['/usr/bin/sleep', '77'], start_new_session=True)",
        ("completed", "failed"),
    ),
    "no death with the parent": ("print(libc.prctl(1, 0, 0, 0, 0))\ntime.sleep(9999)", "timeout"),
    "own process group": ("try: os.setpgid(0, 0)\nexcept OSError: pass\ntime.sleep(9999)", "timeout"),
    "all signals ignored": (
        "for number in range(1, 65):\n"
        " try: signal.signal(number, signal.SIG_IGN)\n except (OSError, ValueError): pass\n"
        "time.sleep(9999)",
        "timeout",
    ),
    "child that holds the streams": ("if os.fork() == 0: time.sleep(9999)", ("completed", "failed")),
}

FILES = {
    "read a file": ("attempt(content, CANARY)", "completed"),
    "read by a relative path": ("attempt(content, '../' * 20 + CANARY)", "completed"),
    "read through /proc/1/root": ("attempt(content, '/proc/1/root' + CANARY)", "completed"),
    "read through the supervisor's root": ("attempt(content, f'/proc/{PID}/root' + CANARY)", "completed"),
    "read through a link": (
        "try: os.symlink(CANARY, '/tmp/link')\nexcept OSError: pass\nattempt(content, '/tmp/link')",
        "completed",
    ),
    "read through a descriptor of the folder": (
        "attempt(lambda: os.open('canary', os.O_RDONLY, dir_fd=os.open(FOLDER, os.O_PATH)))",
        "completed",
    ),
    "hard link": ("attempt(os.link, CANARY, FOLDER + '/link')", "completed"),
    "list folders": (
        "for folder in (FOLDER, '/root', '/home', '/var', '/run', '/srv'): attempt(os.listdir, folder)",
        "completed",
    ),
    "read accounts": ("attempt(content, '/etc/passwd')\nattempt(content, '/etc/shadow')", "completed"),
    "write the root folder": ("attempt(open, '/pwned', 'w')", "completed"),
    "write /usr": ("attempt(open, '/usr/pwned', 'w')\nattempt(open, '/usr/bin/pwned', 'w')", "completed"),
    "write /dev": ("attempt(open, '/dev/pwned', 'w')", "completed"),
    "write a folder of the host": (
        "attempt(open, FOLDER + '/pwned', 'w')\nattempt(os.mkdir, FOLDER + '/d')",
        "completed",
    ),
    "write a file of the host": ("attempt(open, CANARY, 'w')\nattempt(os.truncate, CANARY, 0)", "completed"),
    "delete and rename": (
        "attempt(os.unlink, CANARY)\nattempt(os.rename, CANARY, FOLDER + '/x')\nattempt(os.rmdir, FOLDER)",
        "completed",
    ),
    "change attributes": (
        "attempt(os.chmod, CANARY, 0)\nattempt(os.utime, CANARY, (0, 0))\nattempt(os.chown, CANARY, -1, -1)\n"
        "attempt(os.setxattr, CANARY, 'user.x', b'')\nattempt(os.chmod, FOLDER, 0)",
        "completed",
    ),
    "write settings of the kernel": (
        "for path in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/self/oom_score_adj'):\n"
        " if path != '/proc/self/oom_score_adj': attempt(open, path, 'w')",
        "completed",
    ),
    "devices": (
        "for path in ('/dev/kmsg', '/dev/mem', '/dev/sda', '/dev/vda', '/dev/fuse'): attempt(content, path)\n"
        "attempt(lambda: os.mknod('/tmp/disk', 0o60666, os.makedev(254, 0)) or content('/tmp/disk'))",
        "completed",
    ),
}

OTHERS = {
    "own environment": ("print(dict(os.environ))", "completed"),
    "environment of all processes": (
        "for pid in [*range(1, 50), PID]:\n try: print(content(f'/proc/{pid}/environ'))\n except OSError: pass",
        "completed",
    ),
    "inherited descriptors": (
        "for fd in range(3, 256):\n if fd == CANARY_FD: attempt(lambda: os.fstat(fd) and os.pread(fd, 99, 0))",
        "completed",
    ),
    "descriptors of the supervisor": ("attempt(content, f'/proc/{PID}/fd/{CANARY_FD}')", "completed"),
    "signal to the supervisor": ("attempt(os.kill, PID, 0)\nattempt(os.kill, PID, signal.SIGCONT)", "completed"),
    "signal to everybody": ("attempt(os.kill, -1, signal.SIGWINCH)", "completed"),
    "signal by input and output": (
        "end, other = os.pipe()\nattempt(fcntl.fcntl, end, fcntl.F_SETOWN, PID)",
        "completed",
    ),
    "trace and read a process": (
        "call('ptrace', 16, PID, 0, 0)\ncall('process_vm_readv', PID, 0, 0, 0, 0, 0)\ncall('kcmp', PID, PID, 0, 0, 0)",
        "completed",
    ),
    "take a descriptor of a process": ("call('pidfd_open', PID, 0)\ncall('pidfd_getfd', 0, 0, 0)", "completed"),
    "limits of a process": ("attempt(resource.prlimit, PID, resource.RLIMIT_CPU, (1, 1))", "completed"),
    "priority of a process": ("attempt(os.setpriority, os.PRIO_PROCESS, PID, 19)", "completed"),
    "processor of a process": ("attempt(os.sched_setaffinity, PID, {0})", "completed"),
    "terminal": ("for fd in range(3): attempt(fcntl.ioctl, fd, 0x5412, b'x')", "completed"),
    "TCP": ("attempt(connect, socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', TCP))", "completed"),
    "TCP by IPv6": ("attempt(connect, socket.AF_INET6, socket.SOCK_STREAM, ('::ffff:127.0.0.1', TCP))", "completed"),
    "UDP": ("attempt(connect, socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', UDP))", "completed"),
    "abstract socket": ("attempt(connect, socket.AF_UNIX, socket.SOCK_STREAM, ABSTRACT)", "completed"),
    "socket in a folder": ("attempt(connect, socket.AF_UNIX, socket.SOCK_STREAM, FOLDER + '/socket')", "completed"),
    "raw sockets": (
        "for family, kind in ((socket.AF_INET, 3), (17, 3), (16, 3), (40, 1)): attempt(socket.socket, family, kind)",
        "completed",
    ),
}

KERNEL = {
    "mount": ("call('mount', b'none', b'/tmp', b'tmpfs', 0, None)\ncall('umount2', b'/tmp', 2)", "completed"),
    "new namespaces": ("call('unshare', 0x10000000)\ncall('unshare', 0x20000)\ncall('setns', 0, 0)", "completed"),
    "clone into new namespaces": ("call('clone', 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)", "completed"),
    "clone3": ("call('clone3', (ctypes.c_uint64 * 8)(0x10000000), 64)", "completed"),
    "another root": ("call('chroot', b'/tmp')\ncall('pivot_root', b'/tmp', b'/tmp')", "completed"),
    "become root": ("attempt(os.setuid, 0)\nattempt(os.setgid, 0)", "completed"),
    "program that sets the user": (
        "print(os.popen('/usr/bin/su -c id; /usr/bin/mount -t tmpfs x /tmp && echo ESCAPED').read())",
        ("completed", "failed"),
    ),
    "keys": ("call('keyctl', 0, -3, 1)\ncall('add_key', b'user', b'x', b'x', 1, -3)", "completed"),
    "young parts": (
        "for name in ('bpf', 'userfaultfd', 'io_uring_setup', 'perf_event_open', 'fanotify_init', 'personality',\n"
        " 'name_to_handle_at', 'open_by_handle_at', 'syslog', 'memfd_secret'): call(name, 0, 0, 0, 0, 0)",
        "completed",
    ),
    "administration": (
        "for name in ('reboot', 'kexec_load', 'init_module', 'swapon', 'acct', 'sethostname', 'settimeofday'):\n"
        " call(name, 0, 0, 0, 0)",
        "completed",
    ),
    "loosened Landlock": ("call('landlock_create_ruleset', None, 0, 1)", "completed"),
}

FOREIGN_CALLS = {  # x86_64 only
    "calls of 32 bits": (
        "code = mmap.mmap(-1, 4096, prot=7)\ncode.write(bytes.fromhex('b814000000cd80c3'))\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()\nprint('ESCAPED')",
        "killed",
    ),
    "calls of x32": ("libc.syscall(0x40000000 | 39)\nprint('ESCAPED')", "killed"),
}
