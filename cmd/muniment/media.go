package main

import (
	"path/filepath"
	"strings"

	"github.com/muniment/muniment/app/commitment"
)

// mediaTypes are by ending of the file name, the same on every computer.
var mediaTypes = map[string]string{
	".csv": "text/csv", ".doc": "application/msword",
	".docx":    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".eml":     "message/rfc822",
	".geojson": "application/geo+json", ".gif": "image/gif", ".htm": "text/html", ".html": "text/html",
	".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".json": "application/json", ".jsonl": "application/x-ndjson",
	".md": "text/markdown", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".ndjson": "application/x-ndjson",
	".odt": "application/vnd.oasis.opendocument.text", ".pdf": "application/pdf", ".png": "image/png",
	".tab": "text/tab-separated-values", ".tif": "image/tiff", ".tiff": "image/tiff", ".tsv": "text/tab-separated-values",
	".txt": "text/plain", ".wav": "audio/wav", ".xls": "application/vnd.ms-excel",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xml": "application/xml", ".zip": "application/zip",
}

// mediaType describes a document by the ending of its name, else by how it is
// cut: the profile has read the content.
func mediaType(name string, profile commitment.Profile) string {
	if t, ok := mediaTypes[strings.ToLower(filepath.Ext(name))]; ok {
		return t
	}
	kind, _, _ := strings.Cut(string(profile), "/")
	switch kind {
	case "text":
		return "text/plain"
	case "csv", "csv-cells":
		return "text/csv"
	case "json":
		return "application/json"
	case "eml":
		return "message/rfc822"
	}
	return "application/octet-stream"
}

// fieldsOf are the metadata of a record, in the order in which they are committed.
func fieldsOf(name, title, original string, profile commitment.Profile) []commitment.Field {
	fields := []commitment.Field{{Key: commitment.FieldMediaType, Value: mediaType(name, profile)}}
	if name != "" {
		fields = append(fields, commitment.Field{Key: commitment.FieldFileName, Value: strings.ToValidUTF8(name, "\ufffd")})
	}
	if title != "" {
		fields = append(fields, commitment.Field{Key: commitment.FieldTitle, Value: title})
	}
	if original != "" {
		fields = append(fields, commitment.Field{Key: commitment.FieldDerivedFrom, Value: original})
	}
	return fields
}

// cellsProfile is how a table is asked to be cut into cells.
const cellsProfile = "cells"

// chooseProfile gives the profile that was asked for, or else the one that suits
// the content.
func chooseProfile(wanted, name string, content []byte) (commitment.Profile, error) {
	if wanted == "" {
		return commitment.Choose(name, content), nil
	}
	if wanted == cellsProfile {
		if profile, ok := commitment.ChooseCells(name, content); ok {
			return profile, nil
		}
		return "", failed(exitRefused, "PROFILE_REFUSED", "leave --profile out", "it is not a table that can be cut into cells")
	}
	return commitment.Profile(wanted), nil
}
