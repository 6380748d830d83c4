#define _GNU_SOURCE
#include "mapped_log_system_v.h"
#include <errno.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>

static int result(long status) { return status < 0 ? -errno : (int)status; }

static void fill(mlog_shm_status *status, const struct shmid_ds *found) {
    status->bytes = found->shm_segsz;
    status->attached = found->shm_nattch;
    status->key = found->shm_perm.__key;
    status->owner = found->shm_perm.uid;
    status->mode = found->shm_perm.mode & 0777;
    status->is_removed = (found->shm_perm.mode & SHM_DEST) != 0;
}

int mlog_ftok(const char *path, int id, int32_t *key) {
    *key = ftok(path, id);
    return *key == -1 ? -errno : 0;
}

int mlog_shm_make(int32_t key, uint64_t byte_count, int mode) {
    return result(shmget(key, (size_t)byte_count, IPC_CREAT | IPC_EXCL | mode));
}

int mlog_shm_find(int32_t key) { return result(shmget(key, 0, 0)); }

int mlog_shm_status_of(int id, mlog_shm_status *status) {
    struct shmid_ds found;
    if (shmctl(id, IPC_STAT, &found) != 0) return -errno;
    fill(status, &found);
    return 0;
}

int mlog_shm_attach(int id, int read_only, void **start) {
    void *mapped = shmat(id, NULL, read_only ? SHM_RDONLY : 0);
    if (mapped == (void *)-1) return -errno;
    // The size is asked for now that it can't go any more.
    struct shmid_ds found;
    if (shmctl(id, IPC_STAT, &found) == 0) madvise(mapped, found.shm_segsz, MADV_DONTFORK);
    *start = mapped;
    return 0;
}

int mlog_shm_detach(const void *start) { return result(shmdt(start)); }

int mlog_shm_remove(int id) { return result(shmctl(id, IPC_RMID, NULL)); }

int mlog_shm_last_index(void) {
    struct shm_info info;
    return result(shmctl(0, SHM_INFO, (struct shmid_ds *)&info));
}

int mlog_shm_id_at(int index, mlog_shm_status *status) {
    struct shmid_ds found;
    int id = result(shmctl(index, SHM_STAT, &found));
    if (id >= 0) fill(status, &found);
    return id;
}

union argument {
    int value;
    struct semid_ds *set;
};

int mlog_sem_make(int32_t key, int count, int mode) {
    return result(semget(key, count, IPC_CREAT | IPC_EXCL | mode));
}

int mlog_sem_find(int32_t key) { return result(semget(key, 0, 0)); }

int mlog_sem_remove(int id) { return result(semctl(id, 0, IPC_RMID, (union argument){0})); }

int mlog_sem_value(int id, int number) { return result(semctl(id, number, GETVAL, (union argument){0})); }

int mlog_sem_change(int id, int number, int change, int from_zero) {
    struct sembuf steps[2] = {
        {.sem_num = (unsigned short)number, .sem_op = 0, .sem_flg = IPC_NOWAIT},
        {.sem_num = (unsigned short)number, .sem_op = (short)change, .sem_flg = IPC_NOWAIT | SEM_UNDO},
    };
    int status;
    do status = result(semop(id, from_zero ? steps : steps + 1, from_zero ? 2 : 1));
    while (status == -EINTR);
    return status;
}
