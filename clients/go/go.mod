module github.com/countersign/countersign/clients/go

go 1.19
