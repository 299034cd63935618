package main

import (
	"io/fs"
	"time"
)

// restlessFile is a file whose second Stat differs from the first.
type restlessFile struct {
	fs.File
	stat    restlessInfo
	growth  int64
	touched time.Duration
	asked   int
}

func (f *restlessFile) Stat() (fs.FileInfo, error) {
	info := f.stat
	if f.asked++; f.asked > 1 {
		info.size += f.growth
		info.at = info.at.Add(f.touched)
	}
	return info, nil
}

type restlessInfo struct {
	fs.FileInfo
	size int64
	at   time.Time
}

func (i restlessInfo) Size() int64        { return i.size }
func (i restlessInfo) ModTime() time.Time { return i.at }
