/* Log lines reach the host's function and the main queue; inside the function only [CB] is served. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;
static kafkalog_engine_t *engine;
static int lines;

static void on_log(void *opaque, int32_t level, const char *facility, const char *text, size_t len) {
    kafkalog_buf_t *buf = NULL;
    CHECK(opaque == &lines && level >= 0 && level <= 7 && facility[0] != '\0' && len > 0 && text != NULL);
    CHECK(kafkalog_version() == KAFKALOG_VERSION_NUMBER && kafkalog_code_is_retriable(3));
    CHECK(kafkalog_conf_new() == NULL && kafkalog_tplist_new(0) == NULL);
    pthread_mutex_lock(&lock);
    if (engine != NULL) CODE(KAFKALOG_ERR__REENTRANT, kafkalog_engine_stats(engine, &buf));
    lines++;
    pthread_cond_signal(&heard);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "";
    kafkalog_conf_t *conf;
    kafkalog_engine_t *e = NULL;
    kafkalog_queue_t *q;
    kafkalog_event_t *ev;
    kafkalog_log_t *l = NULL;
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_bytes_t text;
    int64_t at;
    int status;
    char path[4096];
    FILE *file;
    /* somebody dies in the middle of a write, and what is cut off then is worth a line */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        e = open_engine(dir);
        OK(kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, NULL));
        OK(kafkalog_log_open(e, "t", 0, &l, NULL));
        OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &at));
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);

    CHECK((size_t)snprintf(path, sizeof path, "%s/t-0/00000000000000000000.log", dir) < sizeof path);
    file = fopen(path, "ab");
    CHECK(file != NULL && fputs("torn", file) >= 0 && fclose(file) == 0);

    conf = conf_for(dir);
    OK(kafkalog_conf_set(conf, "log.queue", "true", NULL));
    OK(kafkalog_conf_set_log(conf, on_log, &lines));
    OK(kafkalog_engine_open(conf, &e, NULL));
    kafkalog_conf_destroy(conf);
    pthread_mutex_lock(&lock);
    engine = e;
    pthread_mutex_unlock(&lock);
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &at));
    CHECK(at == 1);
    pthread_mutex_lock(&lock);
    while (lines == 0) pthread_cond_wait(&heard, &lock);
    engine = NULL;
    pthread_mutex_unlock(&lock);
    q = kafkalog_engine_queue(e);
    ev = kafkalog_queue_poll(q, 10000);
    text = kafkalog_event_text(ev);
    CHECK(kafkalog_event_type(ev) == KAFKALOG_EVENT_LOG && text.len > 0 && text.data != NULL);
    kafkalog_event_destroy(ev);
    kafkalog_queue_destroy(q);
    kafkalog_log_destroy(l);
    kafkalog_engine_destroy(e);
    return 0;
}
