/* The receiver of the throughput benchmark: takes webhooks, counts and checks them, answers 200.
 *
 *     sink COUNTS_FILE DELAY_MS [PORT [ADDRESSES]]
 *
 * It prints the port that it listens on (any, or the one told: a receiver that was away and comes
 * back under its address) and then serves until it is killed. With ADDRESSES it listens on so many,
 * from 127.0.1.1 on, 200 of each third number, at the same port. COUNTS_FILE is mapped
 * and holds `struct counts`, which the benchmark reads while the sink runs. One thread, one epoll:
 * a delivery costs it some microseconds, so that what is measured is the sender.
 *
 * A request that has `ce-partitionkey: k<number>` and `hooklane-sequence: <number>` is checked:
 * `overlaps` counts those that came while another of the same key was not answered yet, and
 * `disorder` those whose sequence is not above that of the key's request before.
 * One that has `ce-sentns: <nanoseconds of the monotonic clock>` is counted in `took` by how long it
 * was under way, in tenths of a millisecond; the last place is for all that took longer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FDS = 4096, MOST_BYTES = 16384, MOST_KEYS = 65536, EVENTS = 256, TENTHS = 20000 };

struct counts {
    volatile uint64_t deliveries, overlaps, disorder, bad, connections;
    volatile uint64_t took[TENTHS + 1];
};

struct connection {
    int length;
    int key; /* of the request that waits for its answer; -1 for none */
    uint32_t generation;
    char bytes[MOST_BYTES];
};

struct answer {
    int64_t due_ns;
    int fd;
    uint32_t generation;
};

static struct counts *counts;
static struct connection *connections[MOST_FDS];
static uint32_t generations[MOST_FDS];
static uint8_t busy[MOST_KEYS];
static int64_t last_sequence[MOST_KEYS];
/* Every answer waits equally long, so the first that was asked for is the first that is due. A
 * connection waits for one answer at a time: a ring of as many places as connections is enough. */
static struct answer waiting[MOST_FDS];
static uint32_t first_waiting, end_waiting;
static int64_t delay_ns;
static int epoll;
static uint8_t listens[MOST_FDS];

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void drop(int fd) {
    struct connection *one = connections[fd];
    if (one->key >= 0) busy[one->key] = 0;
    free(one);
    connections[fd] = NULL;
    generations[fd]++;
    close(fd);
}

static void answer(int fd) {
    struct connection *one = connections[fd];
    if (one->key >= 0) busy[one->key] = 0;
    one->key = -1;
    if (write(fd, ANSWER, sizeof ANSWER - 1) != (ssize_t)sizeof ANSWER - 1) drop(fd);
}

/* The value of a header in [head, end), or NULL; `name` is in lower case and ends in a colon. */
static const char *header(const char *head, const char *end, const char *name) {
    size_t length = strlen(name);
    for (const char *line = head; (line = memchr(line, '\n', end - line)) != NULL;) {
        line++;
        if ((size_t)(end - line) > length && strncasecmp(line, name, length) == 0) {
            line += length;
            while (*line == ' ') line++;
            return line;
        }
    }
    return NULL;
}

static int key_of(const char *head, const char *end) {
    const char *key = header(head, end, "ce-partitionkey:");
    if (key == NULL || *key != 'k') return -1;
    long number = strtol(key + 1, NULL, 10);
    return number < 0 || number >= MOST_KEYS ? -1 : (int)number;
}

static void check(struct connection *one, const char *end) {
    int key = one->key = key_of(one->bytes, end);
    const char *sequence = header(one->bytes, end, "hooklane-sequence:");
    if (key < 0 || sequence == NULL) return;
    int64_t found = strtoll(sequence, NULL, 10);
    if (busy[key]) counts->overlaps++;
    if (found <= last_sequence[key]) counts->disorder++;
    busy[key] = 1;
    last_sequence[key] = found;
}

static void note_time(const char *head, const char *end) {
    const char *sent = header(head, end, "ce-sentns:");
    if (sent == NULL) return;
    int64_t tenths = (now_ns() - strtoll(sent, NULL, 10)) / 100000;
    counts->took[tenths < 0 ? 0 : tenths < TENTHS ? tenths : TENTHS]++;
}

/* Whether a whole request was there; its sender waits for the answer before it sends the next. */
static void look(int fd) {
    struct connection *one = connections[fd];
    const char *end = memmem(one->bytes, one->length, "\r\n\r\n", 4);
    if (end == NULL) return;
    const char *size = header(one->bytes, end + 2, "content-length:");
    long body = size == NULL ? -1 : strtol(size, NULL, 10);
    long whole = end + 4 - one->bytes + body;
    if (body < 0 || whole > MOST_BYTES || one->length > whole) {
        counts->bad++;
        drop(fd);
        return;
    }
    if (one->length < whole) return;
    check(one, end + 2);
    note_time(one->bytes, end + 2);
    one->length = 0;
    counts->deliveries++;
    if (delay_ns == 0) {
        answer(fd);
    } else {
        waiting[end_waiting++ % MOST_FDS] =
            (struct answer){now_ns() + delay_ns, fd, one->generation};
    }
}

static void take(int fd) {
    struct connection *one = connections[fd];
    ssize_t got = read(fd, one->bytes + one->length, MOST_BYTES - one->length);
    if (got > 0) {
        one->length += got;
        look(fd);
    } else if (got == 0 || errno != EAGAIN) {
        drop(fd);
    }
}

static void welcome(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *one = connections[fd] = malloc(sizeof *one);
        if (one == NULL) die("malloc");
        one->length = 0;
        one->key = -1;
        one->generation = generations[fd];
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
        counts->connections++;
    }
}

/* Answers what is due; gives the milliseconds until the next one, or -1. */
static int answer_due(void) {
    while (first_waiting != end_waiting) {
        struct answer *next = &waiting[first_waiting % MOST_FDS];
        int64_t left = next->due_ns - now_ns();
        if (left > 0) return (int)(left / 1000000) + 1;
        first_waiting++;
        struct connection *one = connections[next->fd];
        if (one != NULL && one->generation == next->generation) answer(next->fd);
    }
    return -1;
}

/* Gives the port. */
static uint16_t listen_on(uint32_t host, uint16_t port) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(host)};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || listener >= MOST_FDS ||
        bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll_ctl");
    listens[listener] = 1;
    return ntohs(address.sin_port);
}

static void map_counts(const char *path) {
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof *counts) < 0) die(path);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counts == MAP_FAILED) die("mmap");
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: sink COUNTS_FILE DELAY_MS [PORT [ADDRESSES]]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    map_counts(argv[1]);
    delay_ns = atol(argv[2]) * 1000000LL;
    memset(last_sequence, 0xff, sizeof last_sequence);
    struct rlimit files = {MOST_FDS, MOST_FDS};
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    if (epoll < 0) die("epoll");
    uint16_t port = listen_on(INADDR_LOOPBACK, argc > 3 ? atoi(argv[3]) : 0);
    for (int one = 0; argc > 4 && one < atoi(argv[4]); one++)
        listen_on(INADDR_LOOPBACK - 1 + ((1 + one / 200) << 8) + 1 + one % 200, port);
    printf("%d\n", port);
    fflush(stdout);
    struct epoll_event events[EVENTS];
    for (;;) {
        int found = epoll_wait(epoll, events, EVENTS, answer_due());
        if (found < 0 && errno != EINTR) die("epoll_wait");
        for (int at = 0; at < found; at++) {
            int fd = events[at].data.fd;
            if (listens[fd])
                welcome(fd);
            else if (connections[fd] != NULL)
                take(fd);
        }
    }
}
