"""The commands of vpopmail and Vmail-SQL, with their names and arguments, on top of ours."""
